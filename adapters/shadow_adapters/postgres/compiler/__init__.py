"""From filters to SQL that selects at least what they match."""
