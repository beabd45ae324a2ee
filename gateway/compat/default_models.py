"""The models of routes that name none."""

from collections.abc import Callable, Sequence

from gateway.cluster import Cluster
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.model_pb2 import Model


class DefaultModels:
    """Finds one anew for each call, since the registry changes.

    Args:
        cluster: knows the models.
        model_ids: as they are set, in order of preference; empty: the only one that is registered.
    """

    def __init__(self, cluster: Cluster, model_ids: Sequence[str]) -> None:
        self._cluster = cluster
        self._model_ids = model_ids

    def find(self, answers: Callable[[Model], bool] = lambda _: True) -> Model:
        """The first that answers; where none does, the first, which can say so itself.

        Raises:
            SieError: MODEL_NOT_FOUND.
        """
        if not self._model_ids:
            return self._only()
        models = [self._cluster.model(model_id) for model_id in self._model_ids]
        return next(filter(answers, models), models[0])

    def _only(self) -> Model:
        models = self._cluster.models()
        if len(models) != 1:
            raise SieError(
                ErrorReason.ERROR_REASON_MODEL_NOT_FOUND,
                f"this route names no model and {len(models)} are registered: set "
                "SIE_DEFAULT_MODEL, or use a route that names one",
            )
        return models[0]
