"""The HTTP face: parse, ask through commands or look through queries, render. It decides nothing about money."""
