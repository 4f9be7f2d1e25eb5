"""Generators of small chats: every text here is written for this project and carries its licence (MIT)."""
