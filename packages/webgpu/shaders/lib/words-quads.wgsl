// Four 32-bit words of any type.
alias Words = vec4u;
