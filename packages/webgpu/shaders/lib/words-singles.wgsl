// A 32-bit word of any type.
alias Words = u32;
