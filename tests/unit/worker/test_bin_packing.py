"""Texts that share a row are all there, fit, and answer as they do alone."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.goldens import TEXTS, UNIT, Rows
from worker.batching.bin_packing import Plan, best_fit, fill, fill_rows, pack, plan_rows, unpacked
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.compiler.compile import compile_checkpoint, packs
from worker.compiler.graph_form import GraphForm, Layout
from worker.engines.catalog import at_hand

lengths = st.lists(st.integers(1, 128), max_size=120)


@dataclass(frozen=True)
class Waiting:
    """A text in the queue."""

    tokens: int
    arrived: float


PACKED = [golden for golden in TEXTS if golden.name.split("_")[0] in {"bert", "distilbert"}]
PACKED = [golden for golden in PACKED if packs(Checkpoint.open(golden.directory))]


@given(lengths, st.integers(1, 16))
def test_every_text_is_in_one_row_and_no_row_is_over_full(lengths, row_texts):
    rows = best_fit(lengths, 128, row_texts)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 128 for row in rows)
    assert all(1 <= len(row) <= row_texts for row in rows)


@given(lengths)
def test_no_two_rows_could_have_been_one(lengths):
    rows = best_fit(lengths, 128, len(lengths) or 1)
    taken = sorted(sum(lengths[index] for index in row) for row in rows)
    assert all(one + other > 128 for one, other in itertools.pairwise(taken))


@given(lengths)
def test_fill_is_the_share_of_tokens(lengths):
    rows = best_fit(lengths, 128, 128)
    assert 0 < fill(lengths, len(rows), 128) <= 1


@pytest.mark.parametrize("mean", [22, 53])
def test_rows_of_many_texts_are_nine_tenths_full(mean):
    drawn = np.clip(np.random.default_rng(0).poisson(mean, 512), 3, 128).tolist()
    longest_first = sorted(drawn, reverse=True)
    assert fill(drawn, len(best_fit(longest_first, 256, 64)), 256) >= 0.9


@given(st.lists(st.integers(1, 64), min_size=1), st.integers(64, 512))
def test_the_rows_of_a_run_hold_the_oldest_and_no_more_than_was_allowed(lengths, max_tokens):
    waiting = [Waiting(length, -n) for n, length in enumerate(lengths)]
    chosen = fill_rows(waiting, 64, max_tokens)
    assert waiting[-1] in chosen
    assert plan_rows([each.tokens for each in chosen], 64).places <= max(64, max_tokens)


def first_of(waiting, tokens):
    """Return those that came first, as far as such rows are filled from them."""
    before = itertools.accumulate((each.tokens for each in waiting), initial=0)
    return [each for each, sum_ in zip(waiting, before, strict=False) if sum_ < tokens]


def test_a_short_text_is_not_passed_over_for_ever():
    """Longer ones keep coming, and fill the rows better."""
    short, runs = Waiting(3, 0.5), 0
    waiting = [Waiting(60, 0), short, *(Waiting(60, n) for n in range(1, 8))]
    while short in waiting:
        chosen = fill_rows(waiting, 64, 128)
        waiting = [each for each in waiting if each not in chosen]
        waiting += [Waiting(60, 100 + runs + n / 10) for n in range(2)]
        runs += 1
    assert runs <= 3


@given(st.lists(st.integers(1, 64), min_size=40))
def test_rows_of_a_run_have_no_room_for_what_is_left(lengths):
    waiting = [Waiting(length, n) for n, length in enumerate(lengths)]
    chosen = fill_rows(waiting, 64, 128)
    plan = plan_rows([each.tokens for each in chosen], 64)
    left = [each.tokens for each in first_of(waiting, 192) if each not in chosen]
    for row in plan.rows:
        room = 64 - sum(chosen[index].tokens for index in row)
        assert len(row) == plan.row_texts or not left or room < min(left)


@pytest.mark.parametrize(
    ("lengths", "row_tokens", "rows"),
    [([5], 8, 1), ([40, 3, 9], 56, 1), ([64, 64], 64, 2), ([200, 150], 200, 2)],
)
def test_rows_are_as_narrow_as_one_row_allows_and_long_texts_have_their_own(
    lengths, row_tokens, rows
):
    plan = plan_rows(lengths, 64)
    assert (plan.row_tokens, len(plan.rows)) == (row_tokens, rows)


def test_a_text_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="200 tokens fits no row of 128"):
        best_fit([5, 200], 128, 8)


@pytest.mark.parametrize("golden", PACKED, ids=str)
@pytest.mark.parametrize("kind", at_hand(), ids=lambda kind: kind.name)
def test_packed_texts_answer_as_the_original(tmp_path, golden, kind):
    form = replace(kind.forms[0], layout=Layout.PACKED)
    compile_checkpoint(Checkpoint.open(golden.directory), tmp_path, form=form)
    ids = Rows.of(golden).ids
    rows = best_fit([len(each) for each in ids], 128, 16)
    engine = kind.open(tmp_path / "model.onnx", 1, 64)
    answers = engine.run(pack(ids, Plan(128, 16, rows)))["dense"]
    array, tolerance = golden.outputs["dense"]
    assert len(rows) < len(ids)
    assert tolerance >= UNIT
    np.testing.assert_allclose(
        unpacked(answers, rows), golden.reference[array], atol=tolerance, rtol=0
    )


@pytest.mark.parametrize("name", ["mpnet", "bge_m3", "splade_bert", "colbert"])
def test_models_whose_texts_cannot_share_a_row_say_so(tmp_path, name):
    checkpoint = Checkpoint.open(TEXTS[0].directory.parent / name)
    assert not packs(checkpoint)
    with pytest.raises(CheckpointError, match="cannot share a row"):
        compile_checkpoint(checkpoint, tmp_path, form=GraphForm(layout=Layout.PACKED))
