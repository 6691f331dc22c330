"""`axis doctor`: looks at everything a node depends on and says what to do, wherever its parts run."""

from deploy.doctor.examine import examine, run_doctor
from deploy.doctor.finding import Finding
from deploy.doctor.subject import Subject, distributed_subject, embedded_subject

__all__ = ["Finding", "Subject", "distributed_subject", "embedded_subject", "examine", "run_doctor"]
