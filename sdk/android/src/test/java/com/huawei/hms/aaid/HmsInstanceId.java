package com.huawei.hms.aaid;

import android.content.Context;
import borealis.android.Maker;

/** Stands in for the class of this name in Huawei's library. */
public class HmsInstanceId {
  public static HmsInstanceId getInstance(Context context) {
    return new HmsInstanceId();
  }

  public String getToken(String subjectId, String scope) throws Exception {
    Maker.calls.add("getToken " + subjectId + " " + scope);
    if (Maker.failure != 0) {
      throw new Exception("ApiException " + Maker.failure);
    }
    return Maker.token;
  }
}
