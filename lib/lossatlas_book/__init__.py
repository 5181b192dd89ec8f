"""How the Loss Atlas book is executed, built and served."""
