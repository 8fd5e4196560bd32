"""The life of basic multicellular units (BMUs): periods, footprints, depths, islands."""
