/** A text whose names and verbs the shipped model lets in, and whose particles it passes over. */
export const SELECTION_EXAMPLE = 'And the LORD spake unto Moses, saying, Speak unto the children of Israel,';
