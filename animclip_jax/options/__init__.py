"""What each command takes on its line: a module a verb, which imports neither JAX nor TensorFlow.

So `animclip VERB --help`, and a line that is wrong, are answered at once. Each module has
`parse(argv)`; argv without the program's name, None takes sys.argv's.
"""
