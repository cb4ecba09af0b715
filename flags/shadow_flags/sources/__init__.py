"""Where the wishes come from: the configuration file, or Unleash."""
