"""What the bone is made of and how a biopsy would read it: mineral by tissue age, density, modulus, histomorphometry."""
