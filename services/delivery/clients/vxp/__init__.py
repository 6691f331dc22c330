"""
The protocol of a national axis (VXP), as its clients speak it.

    signing      headers that prove who calls
    transport    one call: deadline, further tries, faults in our words
    reading      JSON of any length, piece by piece
    answers      what an answer says, judged strictly
    packages     a package, or an error page in its place
    client       the calls
"""
