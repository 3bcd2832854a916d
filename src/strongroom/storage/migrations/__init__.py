"""Alembic's migrations, shipped inside the package so that an installed wheel can make and upgrade databases."""
