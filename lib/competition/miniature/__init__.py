"""The miniature competition: the real schema and the real quirks, with synthetic sound that can be learned."""
