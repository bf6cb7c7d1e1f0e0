"""Colours of lines and points, on paper and on the screen."""

#: Colours that people with any colour vision tell apart (Okabe and Ito, 2008); yellow is too pale for points.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
#: The same on a dark ground, where black is not seen.
DARK_COLOURS = (*COLOURS[:-1], "#FFFFFF")
