"""What is wrong, and the one thing to do first.

    findings = examine(Patient.of_this_process(places()))
    first = first_trouble(findings)

The order is that of causes: what is found first makes what comes later fail, too. What cannot be
known because of an earlier trouble is not in the list.
"""

from .examination import Patient, examine, first_trouble
from .finding import Finding

__all__ = ["Finding", "Patient", "examine", "first_trouble"]
