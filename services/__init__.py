"""The services of the axis, split by what an attacker would gain; none imports another."""
