enable f16;
// Activations that are rounded to halves where they are stored, between kernels that compute in float32.

alias Stored = f16;
