"""The toolbox of the axis: things two parts use, which decide nothing about documents or agencies."""
