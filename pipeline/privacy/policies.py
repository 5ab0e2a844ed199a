"""What becomes of finds, by their kind: of names only, so that whoever asks loads nothing that looks for them."""

from collections.abc import Mapping
from typing import Literal

from pipeline.privacy.kinds import PERSONAL, kinds

Policy = Literal["report", "redact", "drop"]


def policy_of(kind: str, policies: Mapping[str, Policy]) -> Policy:
    """That of the kind, else that of its class, else it is redacted."""
    return policies.get(kind) or policies.get(kinds()[kind].cls) or "redact"


def dropping(policies: Mapping[str, Policy]) -> dict[str, str]:
    """The reason with which each kind drops its document, for the kinds that do."""
    if "drop" not in policies.values():
        return {}
    found = {name for name in kinds() if policy_of(name, policies) == "drop"}
    return {name: "personal_data" if kinds()[name].cls in PERSONAL else "secret" for name in sorted(found)}
