"""Syntax trees: tree-sitter behind bounds that count, and in a process of its own."""
