"""What the bone is made of and how a biopsy reads it: mineral by tissue age, density, modulus, histomorphometry."""
