"""The stores: the only code that talks to a store other than through the legacy driver."""
