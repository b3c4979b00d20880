/* Nothing that anybody asks for. */
int nothing;
