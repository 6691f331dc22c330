"""An answer as it travels: a result, a refusal with its own code and words, or a defect."""

from typing import Any

from pydantic_core import from_json, to_json

from shared.contracts.base import Contract, Operation
from shared.errors import FieldError, Rejected, RejectedElsewhere, Unavailable, UnavailableElsewhere


def write_result(reply: Contract) -> str:
    """
    Write what was asked for.
    """
    return to_json({"result": reply.model_dump_json()}).decode()


def write_problem(error: Rejected | Unavailable) -> str:
    """
    Write a refusal, or that trying again may help.
    """
    problem: dict[str, Any] = {"code": error.problem_code, "detail": error.detail}
    if isinstance(error, Rejected):
        problem |= {"kind": "rejected", "errors": [entry.model_dump() for entry in error.errors]}
    else:
        problem |= {"kind": "unavailable", "retry_after": error.retry_after}
    return to_json({"problem": problem}).decode()


def write_defect(operation: str) -> str:
    """
    Write that something broke; its words stay in the log of whoever it broke at.
    """
    return to_json({"defect": operation}).decode()


def read_answer(operation: Operation[Any, Any], text: str) -> Any:
    """
    Give the result, or raise as if the other side were here.

    Raises:
        Rejected: The other side refused.
        Unavailable: The other side could not.
        RuntimeError: The other side met a defect.
    """
    answer = from_json(text)
    if "result" in answer:
        return operation.reply.model_validate_json(answer["result"])
    problem = answer.get("problem")
    if problem is None:
        raise RuntimeError(f"{operation.name} met a defect")
    if problem["kind"] == "rejected":
        errors = [FieldError.model_validate(entry) for entry in problem["errors"]]
        raise RejectedElsewhere(problem["code"], problem["detail"], errors=errors)
    raise UnavailableElsewhere(problem["code"], problem["detail"], retry_after=problem["retry_after"])
