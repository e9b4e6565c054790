"""Reads compiled HLO: instructions, trip counts, products, messages and traffic."""
