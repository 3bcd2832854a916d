"""Key ceremonies: strict scripts, steps that people confirm, and a transcript that proves them years later."""
