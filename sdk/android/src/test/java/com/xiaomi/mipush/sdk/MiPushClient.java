package com.xiaomi.mipush.sdk;

import android.content.Context;
import borealis.android.Maker;

/** Stands in for the class of this name in Xiaomi's library. */
public abstract class MiPushClient {
  public static void registerPush(Context context, String appId, String appKey) {
    Maker.calls.add("registerPush " + appId + " " + appKey);
  }

  public static String getRegId(Context context) {
    return Maker.token.isEmpty() ? null : Maker.token;
  }
}
