import httpx
import pytest
from pydantic import SecretStr

from shared.client import AxisClient, Credential, RetryPolicy
from shared.testing.pki import Authority, an_authority
from shared.testing.stand_in import URL, StandInNode


@pytest.fixture(scope="session")
def authority() -> Authority:
    return an_authority()


@pytest.fixture
def node(authority: Authority) -> StandInNode:
    return StandInNode(authority, authority.issue("Axis H43, evidence"))


@pytest.fixture
def credential() -> Credential:
    return Credential(url=URL, system_id="qlvb.example", secret=SecretStr("s3cret"))


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def retries(pauses: list[float]) -> RetryPolicy:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return RetryPolicy(attempts=4, sleep=sleep, chance=lambda: 1.0)


@pytest.fixture
def client(node: StandInNode, credential: Credential, retries: RetryPolicy) -> AxisClient:
    return AxisClient(credential, retries=retries, http=httpx.MockTransport(node.handle))
