"""Tokenize: answered by the tokenizer alone, so nothing is queued for an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from servicekit.errors import SieError, invalid, proto_of
from sie.inference.v1.inference_service_pb2 import TokenizeResponse
from sie.inference.v1.item_pb2 import Item
from sie.inference.v1.result_pb2 import Token, TokenizeResult
from sie.registry.v1.model_pb2 import Model
from worker.batching.packing import Input
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.images.vision import size_of
from worker.queue.delivery import Delivery
from worker.texts.text_slices import is_long
from worker.texts.token_ids import array_of, put_ids, read_ids
from worker.verbs.answers import Answers, too_large

# Details are messages of their own, 10 microseconds each.
_MOST_DETAILED = 100_000
# The first work item makes a copy of the tokenizer: never on the event loop.
_LEAST_SIZE = 10_000


class TokenizeJob:
    """One Tokenize work item."""

    def __init__(self, delivery: Delivery, model: Model, loaded: LoadedModel) -> None:
        self.delivery = delivery
        self._tokenizer = loaded.tokenizer
        request = delivery.item.tokenize
        self._items = request.items
        params = request.params
        self._special = params.add_special_tokens or not params.HasField("add_special_tokens")
        self._skip = params.skip_special_tokens or not params.HasField("skip_special_tokens")
        self._details = params.details
        self._answers = Answers(delivery, "tokenize", len(self._items))

    @property
    def outputs(self) -> frozenset[Output]:
        """No engine has a part in it."""
        return frozenset()

    @property
    def size(self) -> int:
        """How much there is to tokenise."""
        return _LEAST_SIZE + sum(size_of(item) for item in self._items)

    @property
    def done(self) -> bool:
        """Whether every item has a result or an error."""
        return self._answers.done

    def prepare(self) -> Sequence[tuple[int, Input]]:
        """Answer every item; there are no inputs for an engine."""
        short: dict[int, str] = {}
        for index, item in enumerate(self._items):
            if item.token_ids or (is_long(item.text) and not self._details):
                self._answer(index, None)
            else:
                short[index] = item.text
        encodings = self._tokenizer.whole.encodings(list(short.values()), special=self._special)
        for index, encoding in zip(short, encodings, strict=True):
            self._answer(index, encoding)
        return []

    def put(self, index: int, outputs: Mapping[str, NDArray[np.float32]], row: int) -> None:
        """Never called: `prepare` gives no inputs."""
        raise AssertionError(index)

    def fail(self, index: int, error: SieError) -> None:
        """Set the error of one item; the others keep their results."""
        result = TokenizeResult(id=self._items[index].id, error=proto_of(error))
        self._answers.fail(index, error, _fragment(result))

    async def finish(self) -> None:
        """Reply and acknowledge."""
        await self._answers.finish()

    def _answer(self, index: int, encoding: Encoding | None) -> None:
        item, path = self._items[index], self._path(index)
        try:
            self._check_detailed(item.token_ids if encoding is None else encoding, path)
            result = self._of_ids(item, path) if item.token_ids else self._of_text(item, encoding)
            if self._details:
                result.tokens.extend(self._tokens(result, encoding))
        except SieError as error:
            self.fail(index, error)
            return
        fragment = _fragment(result)
        limit = self.delivery.max_fragment_bytes
        if len(fragment) > limit:
            self.fail(index, too_large(limit))
        else:
            self._answers.set(index, fragment)

    def _of_text(self, item: Item, encoding: Encoding | None) -> TokenizeResult:
        result = TokenizeResult(id=item.id, text=item.text)
        if encoding is None:
            whole = self._tokenizer.whole
            [ids] = whole.ids([item.text])
            put_ids(result.token_ids, whole.framed(ids) if self._special else ids)
        else:
            result.token_ids.extend(encoding.ids)
        return result

    def _of_ids(self, item: Item, path: str) -> TokenizeResult:
        whole = self._tokenizer.whole
        read_ids(whole, item, path)
        text = whole.text_of(item.token_ids[:], skip_special=self._skip)
        return TokenizeResult(id=item.id, token_ids=item.token_ids, text=text)

    def _tokens(self, result: TokenizeResult, encoding: Encoding | None) -> Iterator[Token]:
        ids = result.token_ids
        if encoding is None:
            special = self._tokenizer.whole.is_special(array_of(ids))
            for token_id, is_special in zip(ids, special.tolist(), strict=True):
                name = self._tokenizer.whole.name_of(token_id)
                yield Token(id=token_id, text=name, special=is_special)
            return
        rows = zip(
            ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
        )
        for token_id, name, is_special, (start, end) in rows:
            token = Token(id=token_id, text=name, special=bool(is_special))
            if not is_special:
                token.start, token.end = start, end
            yield token

    def _check_detailed(self, tokens: Sized, path: str) -> None:
        if self._details and (count := len(tokens)) > _MOST_DETAILED:
            problem = f"details are given of {_MOST_DETAILED} tokens at most, these are {count}"
            raise invalid(path, problem)

    def _path(self, index: int) -> str:
        return f"items[{self.delivery.item.first_item + index}]"


def _fragment(result: TokenizeResult) -> bytes:
    return TokenizeResponse(items=[result]).SerializeToString()
