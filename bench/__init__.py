"""
Measures the axis: `python -m bench --help`.

Nothing here is part of what runs for agencies; it drives whole deployments from outside, as agencies would. What the
figures mean is explained in docs/performance.md.
"""
