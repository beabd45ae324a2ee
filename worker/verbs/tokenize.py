"""Tokenize: answered by the tokenizer alone, so nothing is queued for an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
from worker.texts.token_ids import read_ids
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
        texts = {i: item.text for i, item in enumerate(self._items) if not item.token_ids}
        encodings = self._tokenizer.whole.encodings(list(texts.values()), special=self._special)
        for index, encoding in zip(texts, encodings, strict=True):
            self._answer(index, encoding)
        for index, item in enumerate(self._items):
            if item.token_ids:
                self._answer(index, None)
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
            result = self._of_ids(item, path) if encoding is None else self._of_text(item, encoding)
            if self._details:
                result.tokens.extend(self._tokens(result, encoding, path))
        except SieError as error:
            self.fail(index, error)
            return
        fragment = _fragment(result)
        limit = self.delivery.max_fragment_bytes
        if len(fragment) > limit:
            self.fail(index, too_large(limit))
        else:
            self._answers.set(index, fragment)

    def _of_text(self, item: Item, encoding: Encoding) -> TokenizeResult:
        return TokenizeResult(id=item.id, token_ids=encoding.ids, text=item.text)

    def _of_ids(self, item: Item, path: str) -> TokenizeResult:
        whole = self._tokenizer.whole
        read_ids(whole, item, path)
        text = whole.text_of(list(item.token_ids), skip_special=self._skip)
        return TokenizeResult(id=item.id, token_ids=item.token_ids, text=text)

    def _tokens(
        self, result: TokenizeResult, encoding: Encoding | None, path: str
    ) -> Iterator[Token]:
        ids = result.token_ids
        if len(ids) > _MOST_DETAILED:
            problem = f"details are given of {_MOST_DETAILED} tokens at most, these are {len(ids)}"
            raise invalid(path, problem)
        if encoding is None:
            special = self._tokenizer.whole.is_special(np.array(ids, dtype=np.int64))
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

    def _path(self, index: int) -> str:
        return f"items[{self.delivery.item.first_item + index}]"


def _fragment(result: TokenizeResult) -> bytes:
    return TokenizeResponse(items=[result]).SerializeToString()
