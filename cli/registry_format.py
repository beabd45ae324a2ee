"""What a registry's changes look like on a terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from cli.format import lower_name
from sie.registry.v1.registry_document_pb2 import ChangeAction, ResourceChange, ResourceType
from sie.registry.v1.registry_history_service_pb2 import RevisionInfo
from sie.registry.v1.registry_status_service_pb2 import GetModelStatusResponse, ViewStatus

_SIGNS = {
    ChangeAction.CHANGE_ACTION_CREATED: "+",
    ChangeAction.CHANGE_ACTION_UPDATED: "~",
    ChangeAction.CHANGE_ACTION_DELETED: "-",
}
_WIDEST = 60


def changes(found: Iterable[ResourceChange]) -> Iterator[str]:
    """A line for each definition, and below it one for each field that differs."""
    for change in found:
        kind = lower_name(ResourceType.Name(change.resource_type))
        yield f"{_SIGNS.get(change.action, '?')} {kind}/{change.id}"
        for field in change.fields:
            yield f"    {field.path}: {_value(field.before)} -> {_value(field.after)}"


def summary(found: Sequence[ResourceChange]) -> str:
    """`1 created, 2 updated`."""
    counts = Counter(lower_name(ChangeAction.Name(change.action)) for change in found)
    return ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))


def revisions(found: Iterable[RevisionInfo]) -> Sequence[tuple[str, ...]]:
    """A row for each commit."""
    return [("REVISION", "TIME", "ACTION", "DEFINITION")] + [
        (
            str(info.revision),
            info.commit_time.ToDatetime().isoformat(" ", "seconds"),
            lower_name(ChangeAction.Name(info.action)),
            f"{lower_name(ResourceType.Name(info.resource_type))}/{info.id}",
        )
        for info in found
    ]


def status(found: GetModelStatusResponse) -> Iterator[str]:
    """Who has applied a model's newest definition, and who has not."""
    yield f"{found.model_id}: revision {found.revision}"
    for bundle in found.bundles:
        of = f"{len(bundle.acked_workers)} of {bundle.total_eligible_workers} workers"
        yield f"  bundle {bundle.bundle_id}: {of}"
        yield from (_view(view) for view in bundle.workers)
    yield "  gateways"
    yield from (_view(view) for view in found.gateways)


def _view(view: ViewStatus) -> str:
    return f"    {'applied' if view.applied else 'pending':8} {view.id} at {view.revision}"


def _value(text: str) -> str:
    if not text:
        return "(not set)"
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
