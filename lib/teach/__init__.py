"""Teaching: what members say of soundscapes nobody labelled, rounds of students, and what they gained."""
