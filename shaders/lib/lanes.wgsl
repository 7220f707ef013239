// How a workgroup is shared: CHANNEL_LANES neighbouring channels, each walked by VALUE_LANES invocations.
// Constants from the plan: WORKGROUP, CHANNEL_LANES, and BLOCK, the terms that are summed before they join a longer sum
// (rounding then grows with BLOCK + terms / BLOCK, not with terms).

const VALUE_LANES = WORKGROUP / CHANNEL_LANES;
