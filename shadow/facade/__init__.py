"""The drivers' classes over a router: typed signatures, and no more logic than passing a call on."""
