"""Where a gateway's gRPC face is, and how it is spoken to."""

from dataclasses import dataclass, field

from cli.errors import CommandError
from cli.tls import Tls

_SCHEMES = {"grpc": False, "grpcs": True}


@dataclass(frozen=True)
class Endpoint:
    """One gateway.

    Args:
        address: `host:port`, or `grpcs://host:port` where it serves TLS.
        tls: certificates; any of them means TLS.
    """

    address: str
    tls: Tls = field(default_factory=Tls)

    @property
    def target(self) -> str:
        """`host:port`.

        Raises:
            CommandError: the address is none.
        """
        scheme, separator, rest = self.address.rpartition("://")
        port = rest.rpartition(":")[2]
        if (separator and scheme not in _SCHEMES) or "/" in rest or not port.isdecimal():
            raise CommandError(
                f"{self.address!r} is no address: host:port of the gateway's gRPC face is "
                "expected, or grpcs://host:port where it serves TLS"
            )
        return rest

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.tls.is_given or self.address.startswith("grpcs://")

    def advice(self, problem: str) -> str:
        """What to do when nobody answers, and why that is."""
        if "refused" in problem.lower():
            return "Is it running? Try `sie up`."
        if self.is_secure:
            return (
                "Does it serve TLS, under a certificate that --ca-file has signed for that name? "
                "Where it asks callers for one: --certificate and --private-key."
            )
        return "Is it running? Where it serves TLS, name who signed its certificate: --ca-file."
