"""Numbers and hashes as manifests, markers and logs may say them, whoever has written these: else they are damaged."""

from typing import Annotated

from pydantic import Field

Size = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(gt=-(2**63), lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
