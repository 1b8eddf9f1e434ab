// Activations that are stored as they were computed.

alias Stored = f32;
