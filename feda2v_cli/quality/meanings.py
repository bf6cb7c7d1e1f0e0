"""What each figure says, in words."""

#: What each figure is.
MEANINGS = {
    "tstr": "clips named by a probe trained on samples",
    "trtr": "clips named by a probe trained on clips",
    "kad": "kernel audio distance x 100; 0 is best",
    "recall": "of the clips lie among the samples",
    "precision": "of the samples lie among the clips",
    "density": "how deep samples lie among the clips",
    "coverage": "of the clips have a sample nearby",
    "fad": "Fréchet audio distance; biased, see its floor",
    "spread": "of the clips' spread within classes",
    "memorised": "nearer to training clips than other clips; 0.5 is best",
}
#: Figures of the table of classes.
CLASS_FIGURES = ("tstr", "trtr", "kad", "recall", "precision", "spread", "memorised")
