"""`auto` takes the fastest engine that answers as the reference does."""

import functools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from worker.compiler.graph_form import Dialect, GraphForm, Precision
from worker.engine import EngineError, NoEngineError, TokenBatch
from worker.engines.catalog import (
    AUTO,
    ENGINES,
    INT8,
    REFERENCE,
    Candidate,
    EngineKind,
    at_hand,
    engine_kind,
    engines_for,
)
from worker.engines.choose import Choice, Measurement, compare, lowest_cosine, pick
from worker.hosting.loading import load
from worker.opening.profile import EngineProfile, ProfileStore

BATCH = TokenBatch.pack([np.arange(1, 9, dtype=np.int32)])


def measured(engine, seconds, cosine=1.0, *, exact=True, error="", form=GraphForm()):  # noqa: B008
    return Measurement(Candidate(kind(engine, exact=exact), form), seconds, cosine, error)


@functools.cache
def kind(name, *, exact=True):
    return EngineKind(name, Precision.FLOAT32, (Dialect.FUSED,), lambda: "", None, exact=exact)


class Fake:
    streams = 1

    def __init__(self, name, answer=None):
        self.name, self.answer = name, answer

    def run(self, batch, outputs=()):
        if self.answer is None:
            raise EngineError("no such operator")
        return {"dense": np.array([self.answer], dtype=np.float32)}

    def close(self):
        pass


def candidates(*names):
    return [Candidate(kind(name), GraphForm()) for name in names]


def test_the_fastest_is_taken_and_the_reason_names_all():
    choice = pick([measured("a", 0.02), measured("b", 0.01)])
    assert choice.engine == "b"
    assert choice.reason == "a fused 20.0 ms, cosine 1.000000; b fused 10.0 ms, cosine 1.000000"


def test_what_noise_could_explain_changes_nothing():
    assert pick([measured("a", 0.0100), measured("b", 0.0092)]).engine == "a"


@pytest.mark.parametrize(("seconds", "taken"), [(0.0098, "fused"), (0.0092, "standard")])
def test_another_form_of_graph_for_the_same_library_needs_less_of_a_gain(seconds, taken):
    standard = GraphForm(Dialect.STANDARD)
    choice = pick([measured("a", 0.0100), measured("a", seconds, form=standard)])
    assert choice.form.dialect == taken


@pytest.mark.parametrize(("cosine", "taken"), [(0.9996, "half"), (0.9994, "full")])
def test_half_precision_must_keep_the_error_budget(cosine, taken):
    choice = pick([measured("full", 0.02), measured("half", 0.01, cosine, exact=False)])
    assert choice.engine == taken
    assert ("beyond the error budget: half fused" in choice.reason) == (taken == "full")


def test_an_exact_engine_that_differs_is_not_taken():
    assert pick([measured("a", 0.02), measured("b", 0.01, 0.9998)]).engine == "a"


def test_an_engine_that_fails_is_left_out_with_its_reason():
    a, b, c = candidates("a", "b", "c")
    engines = {a: Fake("a", [1, 0]), b: Fake("b")}
    results = compare([a, b, c], engines, BATCH, failures={c: "no device"})
    choice = pick(results)
    assert choice.engine == "a"
    assert "b fused failed: no such operator; c fused failed: no device" in choice.reason


def test_an_answer_that_is_not_finite_is_nothing_like_the_reference():
    theirs = {"dense": np.ones((1, 2), np.float32)}
    assert lowest_cosine({"dense": np.full((1, 2), np.nan, np.float32)}, theirs) == 0.0
    assert lowest_cosine(theirs, theirs) == pytest.approx(1.0)


def test_an_unknown_engine_is_an_error_that_names_those_there_are():
    with pytest.raises(EngineError, match=f"no engine abacus; there are .*{REFERENCE.name}"):
        engine_kind("abacus")


@pytest.mark.parametrize("name", [name for name, kind in ENGINES.items() if kind.missing()])
def test_an_engine_that_cannot_run_here_says_why(name):
    with pytest.raises(EngineError, match=name):
        engine_kind(name)


def test_a_second_start_neither_chooses_nor_measures(tmp_path, golden, monkeypatch):
    directory = golden("bert_mean").directory
    first = load(directory, tmp_path, cores=1, engine="auto")
    monkeypatch.setattr("worker.opening.opener.compare", None)
    monkeypatch.setattr("worker.opening.opener.measure", None)
    second = load(directory, tmp_path, cores=1, engine="auto")
    assert (second.choice, second.cost, second.layout) == (first.choice, first.cost, first.layout)
    assert second.engine.name == first.choice.engine
    assert second.limits == first.limits


def test_those_who_want_a_profile_together_wait_for_the_one_that_measures(tmp_path):
    profile = EngineProfile(Choice(REFERENCE.name, GraphForm(), "alone"), None)
    profiles = []

    def measure():
        time.sleep(0.05)
        profiles.append(profile)
        return profile

    with ThreadPoolExecutor(4) as threads:
        wanted = [
            threads.submit(ProfileStore(tmp_path).get, {"model": n % 2}, measure) for n in range(4)
        ]
        assert [each.result() for each in wanted] == [profile] * 4
    assert len(profiles) == 2


def test_a_damaged_profile_is_measured_again(tmp_path, golden):
    directory = golden("bert_mean").directory
    load(directory, tmp_path, cores=1)
    for file in tmp_path.glob("profiles/*.json"):
        file.write_text("{")
    assert load(directory, tmp_path, cores=1).choice.engine == REFERENCE.name


def test_auto_never_takes_what_must_be_asked_for():
    assert INT8 not in {kind.name for kind in at_hand()}
    assert engines_for(AUTO) == at_hand()


def test_a_stated_precision_takes_engines_of_that_precision():
    exact = engines_for(AUTO, Precision.FLOAT32)
    assert REFERENCE in exact
    assert {kind.precision for kind in exact} == {Precision.FLOAT32}


def test_a_precision_that_no_engine_has_here_is_refused_with_every_reason():
    lacking = [kind for kind in ENGINES.values() if kind.precision == Precision.FLOAT16]
    if not all(kind.missing() for kind in lacking):
        pytest.skip("this machine computes in float16")
    with pytest.raises(NoEngineError, match=r"no engine here computes in float16: .*cuda-fp16: "):
        engines_for(AUTO, Precision.FLOAT16)


def test_a_worker_of_one_engine_refuses_another_precision():
    with pytest.raises(NoEngineError, match=r"bfloat16 is asked for, .* computes in float32"):
        engines_for(REFERENCE.name, Precision.BFLOAT16)
