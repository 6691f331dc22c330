from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import FieldError

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


class ProblemDetails(BaseModel):
    """
    A refusal or failure over HTTP.

    Source:
        RFC 9457 section 3; `code`, `remedy`, `correlation_id` and `errors` are extensions.
    """

    model_config = ConfigDict(extra="ignore")

    type: str = Field(description="Address of the page that explains this kind of problem; it ends in the code.")
    title: str = Field(description="What kind of problem this is; the same for every case of a code.")
    status: int = Field(description="HTTP status, repeated.")
    detail: str = Field(description="What was wrong in this very case.")
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Stable code, in kebab case; programs decide by it.")
    remedy: str = Field(default="", description="What to change, in the language asked for.")
    correlation_id: str = Field(description="Name it when you ask for support.")
    errors: tuple[FieldError, ...] = Field(default=(), description="Single findings, where there are any.")
