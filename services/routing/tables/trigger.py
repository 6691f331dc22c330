"""The trigger that makes the database refuse any step of a delivery that the table of states does not have."""

from collections.abc import Iterable

from services.routing.domain.states import BEGINNINGS, NEXT_SERIES, STEPS
from services.routing.tables import SCHEMA, deliveries
from shared.contracts.routing import DeliveryState

FUNCTION = "refuse_illegal_step"
TRIGGER = "deliveries_step"


def function_body() -> str:
    """
    Body of the trigger's function in PL/pgSQL, generated from the table of states.

    A migration spells out what this gave when it was written; a test compares the two.
    """
    pairs = list(dict.fromkeys((step.from_state, step.to_state) for step in STEPS))
    steps = ",\n        ".join(_pair(*pair) for pair in pairs)
    next_series = ", ".join(_pair(*pair) for pair in sorted(NEXT_SERIES))
    return f"""
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state IN ({_quoted(BEGINNINGS)}) AND NEW.series = 1 THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'a delivery cannot begin as % in series %', NEW.state, NEW.series
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = OLD.state AND NEW.series = OLD.series THEN
        RETURN NEW;
    END IF;
    IF (OLD.state, NEW.state) IN (
        {steps}
    ) AND NEW.series = OLD.series + (CASE WHEN (OLD.state, NEW.state) IN ({next_series}) THEN 1 ELSE 0 END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a delivery cannot go from % to % in series %', OLD.state, NEW.state, NEW.series
        USING ERRCODE = 'check_violation';
END
"""


def trigger_ddl() -> tuple[str, ...]:
    """
    The statements that install it.
    """
    function = f"CREATE FUNCTION {SCHEMA}.{FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $${function_body()}$$"
    trigger = (
        f"CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE OF state, series ON {deliveries.fullname} "
        f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.{FUNCTION}()"
    )
    return function, trigger


def _pair(from_state: DeliveryState, to_state: DeliveryState) -> str:
    return f"('{from_state}', '{to_state}')"


def _quoted(states: Iterable[DeliveryState]) -> str:
    return ", ".join(f"'{state}'" for state in states)
