"""What happens to text, alike on documents and on questions: normalising, sentences, words, language."""
