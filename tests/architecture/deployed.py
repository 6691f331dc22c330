"""What both descriptions of a deployment are held against: the processes, and the variables each reads."""

from dataclasses import dataclass, field
from pathlib import Path

from deploy.composition import PROCESSES, SERVICES, settings_class
from deploy.containers.prepare import Settings as PrepareSettings
from deploy.distributed.serve import WITH_BLOBS
from deploy.distributed.settings import AdministrationSettings, ProcessSettings, variables_of
from deploy.proxy.settings import Settings as ProxySettings

ROOT = Path(__file__).parents[2]

_PROXY = {f"PROXY_{name.upper()}" for name in ProxySettings.model_fields}
_ADMINISTRATION = {f"AXIS_{name.upper()}" for name in AdministrationSettings.model_fields}
_OF_SERVICES = {variable for service in SERVICES for variable in variables_of(service)}

READ_BY: dict[tuple[str, ...], set[str]] = {
    **{("axis", "serve", process): set(variables_of(process)) for process in PROCESSES},
    ("axis", "db", "upgrade"): _ADMINISTRATION | _OF_SERVICES,
    ("axis", "broker", "setup"): _ADMINISTRATION | _OF_SERVICES | set(variables_of("gateway")),
    ("python", "-m", "deploy.proxy"): _PROXY,
    ("python", "-m", "deploy.containers.prepare"): {
        *variables_of("signing"),
        *variables_of("registry"),
        *(f"PREPARE_{name.upper()}" for name in PrepareSettings.model_fields),
    },
}
"""Every command a container may run, and the variables that mean something to it."""


@dataclass
class Deployed:
    """
    One container as a deployment describes it.

    Attributes:
        name: Of the service or workload.
        command: What it runs.
        variables: Given by value.
        secrets: Names of the files in its folder of secrets.
        folder: Where those are.
        mounts: Where it may write.
    """

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]
    secrets: set[str]
    folder: str
    mounts: set[str] = field(default_factory=set)

    def faults(self) -> list[str]:
        """
        Tell what of it no process would understand, or would miss.
        """
        known = READ_BY.get(self.command)
        if known is None:
            return [f"{self.name}: there is no command {' '.join(self.command)}"]
        found = [f"{self.name}: {name} means nothing to it" for name in self.variables if name not in known]
        pointed_at = {value for name, value in self.variables.items() if name.endswith("_FILE")}
        found += [
            f"{self.name}: the secret {name} means nothing to it"
            for name in self.secrets
            if name.upper() not in known and f"{self.folder}/{name}" not in pointed_at
        ]
        for value in pointed_at:
            folder, _, name = value.rpartition("/")
            if folder == self.folder and name not in self.secrets:
                found.append(f"{self.name}: {value} is not mounted")
            elif folder != self.folder and not any(folder.startswith(mount) for mount in self.mounts):
                found.append(f"{self.name}: {value} is in no volume")
        given = set(self.variables) | {name.upper() for name in self.secrets}
        found += [f"{self.name}: {name} is missing" for name in sorted(self._needed() - given)]
        return found

    def _needed(self) -> set[str]:
        """Variables without which it would not start."""
        if self.command == ("python", "-m", "deploy.proxy"):
            return {f"PROXY_{name.upper()}" for name, one in ProxySettings.model_fields.items() if one.is_required()}
        if self.command[:2] != ("axis", "serve"):
            return {"AXIS_NODE_ID", "AXIS_PUBLIC_URL", "AXIS_SECRETS_FOLDER"}
        process = self.command[2]
        needed = {"AXIS_NODE_ID", "AXIS_PUBLIC_URL", "AXIS_SECRETS_FOLDER", f"{process.upper()}_BROKER_URL"}
        if process in WITH_BLOBS:
            needed.add("AXIS_BLOB_FOLDER")
        common = set(ProcessSettings.model_fields)
        return needed | {
            f"{process.upper()}_{name.upper()}"
            for name, one in settings_class(process).model_fields.items()
            if one.is_required() and name not in common
        }
