package com.heytap.msp.push;

import android.content.Context;
import borealis.android.Maker;
import com.heytap.msp.push.callback.ICallBackResultService;

/** Stands in for the class of this name in OPPO's library. */
public class HeytapPushManager {
  public static void init(Context context, boolean log) {
    Maker.calls.add("init " + log);
  }

  public static boolean isSupportPush(Context context) {
    return Maker.supported;
  }

  public static void register(Context context, String appKey, String appSecret, ICallBackResultService callback) {
    Maker.calls.add("register " + appKey + " " + appSecret + " " + callback.equals(callback) + (callback.hashCode() == callback.hashCode()));
    callback.onRegister(Maker.failure, Maker.token, "p", "m");
  }
}
