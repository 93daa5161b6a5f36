package com.vivo.push;

import borealis.android.Maker;

/** Stands in for the class of this name in vivo's library. */
public class PushConfig {
  /** Stands in for the class of this name in vivo's library. */
  public static class Builder {
    public Builder agreePrivacyStatement(boolean agreed) {
      Maker.calls.add("agree " + agreed);
      return this;
    }

    public PushConfig build() {
      return new PushConfig();
    }
  }
}
