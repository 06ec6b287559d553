// The real .cu text behind a C ABI, for the tests that run it on CPU threads.
#include "option_risk.cu"

extern "C" void host_option_risk(unsigned most, unsigned grid, u64 *out, const Piece *table, const u64 *model,
                                 const Job *job) {
  Job common = *job;
  cuhost::launch(dim3(grid), dim3(BLOCK), 0, [=] {
    if (most == 4) option_risk_4(out, table, model, common);
    else if (most == 8) option_risk_8(out, table, model, common);
    else option_risk_16(out, table, model, common);
  });
}
