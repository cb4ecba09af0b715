"""Operations: what a façade's method means, as the wire would carry it, and how to run it on either store."""
